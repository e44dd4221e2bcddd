import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../platform/database';

/** The user of a token with its workspace. */
export interface Identity {
  readonly workspace_id: string;
  readonly team: string;
  readonly domain: string;
  readonly user: string;
  readonly is_bot: boolean;
}

const identity = statement<Identity>(
  'messaging.identity',
  `SELECT u.workspace_id, w.name AS team, w.domain, u.name AS user, u.app_id IS NOT NULL AS is_bot
   FROM workspace_users u JOIN workspaces w ON w.id = u.workspace_id
   WHERE u.workspace_id = $1 AND u.id = $2 AND NOT u.deleted`,
);

/** The people and bots of a workspace. */
@Injectable()
export class DirectoryRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** `undefined` where the workspace has no such user, or no more. */
  async identity(workspaceId: string, userId: string): Promise<Identity | undefined> {
    const [found] = await this.unitOfWork.query(identity, [workspaceId, userId]);
    return found;
  }
}
