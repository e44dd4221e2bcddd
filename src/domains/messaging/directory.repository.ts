import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../platform/database';
import type { Team, User } from './entities/user.entity';

/** The user of a token with its workspace. */
export interface Identity {
  readonly workspace_id: string;
  readonly team: string;
  readonly domain: string;
  readonly user: string;
  readonly is_bot: boolean;
}

const userColumns = `
  workspace_id, id, name, real_name, app_id, is_admin, deleted, extract(epoch FROM updated_at)::int AS updated`;

const identity = statement<Identity>(
  'messaging.identity',
  `SELECT u.workspace_id, w.name AS team, w.domain, u.name AS user, u.app_id IS NOT NULL AS is_bot
   FROM workspace_users u JOIN workspaces w ON w.id = u.workspace_id
   WHERE u.workspace_id = $1 AND u.id = $2 AND NOT u.deleted`,
);
const team = statement<Team>('messaging.team', `SELECT id AS workspace_id, name, domain FROM workspaces WHERE id = $1`);
const user = statement<User>(
  'messaging.user',
  `SELECT ${userColumns} FROM workspace_users WHERE workspace_id = $1 AND id = $2`,
);
const users = statement<User>(
  'messaging.users',
  `SELECT ${userColumns} FROM workspace_users WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3`,
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

  async team(workspaceId: string): Promise<Team | undefined> {
    const [found] = await this.unitOfWork.query(team, [workspaceId]);
    return found;
  }

  async user(workspaceId: string, userId: string): Promise<User | undefined> {
    const [found] = await this.unitOfWork.query(user, [workspaceId, userId]);
    return found;
  }

  /** By id; one row more than `limit` where there are more. */
  users(workspaceId: string, afterId: string, limit: number): Promise<User[]> {
    return this.unitOfWork.query(users, [workspaceId, afterId, limit + 1]);
  }
}
