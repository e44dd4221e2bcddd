import { Injectable } from '@nestjs/common';
import { statement, UnitOfWork } from '../../platform/database';
import { AccountInactive } from './messaging.errors';

/** Whether the workspace $1 has that user, and did not deactivate it: a token outlives its account. */
export const isActive = (user: string) =>
  `EXISTS (SELECT FROM workspace_users u WHERE u.workspace_id = $1 AND u.id = ${user} AND NOT u.deleted)`;

const active = statement<{ is_active: boolean }>('messaging.is-active', `SELECT ${isActive('$2')} AS is_active`);

/** For what needs no other statement that would tell. */
@Injectable()
export class Accounts {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** @throws AccountInactive */
  async refuseInactive(workspaceId: string, userId: string): Promise<void> {
    const [account] = await this.unitOfWork.query(active, [workspaceId, userId]);
    if (!account?.is_active) throw new AccountInactive();
  }
}
