import { Injectable } from '@nestjs/common';
import { ReadOnly } from '../../platform/database';
import { type Caller, type Page, pageFrom, workspaceOf } from '../../policy';
import { Accounts } from './accounts';
import { cursorKeys } from './cursor';
import { DirectoryRepository, type Identity } from './directory.repository';
import type { PageArguments } from './dto/arguments';
import type { Team, User } from './entities/user.entity';
import { AccountInactive, UserNotFound } from './messaging.errors';
import { ownWorkspace } from './own-workspace';

/** Who is who in a workspace. */
@Injectable()
export class DirectoryService {
  constructor(
    private readonly repository: DirectoryRepository,
    private readonly accounts: Accounts,
  ) {}

  /** Whom the caller's token stands for. @throws AccountInactive */
  @ReadOnly()
  async identity(caller: Caller): Promise<Identity> {
    const workspaceId = workspaceOf(caller);
    return own(workspaceId, await this.repository.identity(workspaceId, caller.userId), AccountInactive);
  }

  /** The caller's workspace. @throws AccountInactive */
  @ReadOnly()
  async team(caller: Caller): Promise<Team> {
    const workspaceId = workspaceOf(caller);
    const [team] = await Promise.all([
      this.repository.team(workspaceId),
      this.accounts.refuseInactive(workspaceId, caller.userId),
    ]);
    return own(workspaceId, team, AccountInactive);
  }

  /** @throws AccountInactive, UserNotFound */
  @ReadOnly()
  async user(caller: Caller, userId: string): Promise<User> {
    const workspaceId = workspaceOf(caller);
    const [user] = await Promise.all([
      this.repository.user(workspaceId, userId),
      this.accounts.refuseInactive(workspaceId, caller.userId),
    ]);
    return own(workspaceId, user, UserNotFound);
  }

  /**
   * The people and bots of the caller's workspace, by id, those who left included.
   * @throws AccountInactive; PolicyRefusal 400 for a wrong cursor
   */
  @ReadOnly()
  async users(caller: Caller, { limit, cursor }: PageArguments): Promise<Page<User>> {
    const workspaceId = workspaceOf(caller);
    const [afterId = ''] = cursorKeys(cursor);
    const [rows] = await Promise.all([
      this.repository.users(workspaceId, afterId, limit),
      this.accounts.refuseInactive(workspaceId, caller.userId),
    ]);
    return pageFrom(ownWorkspace(workspaceId, rows), limit, ({ id }) => [id]);
  }
}

function own<Row extends { workspace_id: string }>(
  workspaceId: string,
  row: Row | undefined,
  Missing: new () => Error,
): Row {
  if (!row) throw new Missing();
  ownWorkspace(workspaceId, [row]);
  return row;
}
