import { Injectable } from '@nestjs/common';
import { ReadOnly } from '../../platform/database';
import { type Caller, workspaceOf } from '../../policy';
import { DirectoryRepository, type Identity } from './directory.repository';
import { AccountInactive } from './messaging.errors';
import { ownWorkspace } from './own-workspace';

/** Who is who in a workspace. */
@Injectable()
export class DirectoryService {
  constructor(private readonly repository: DirectoryRepository) {}

  /** Whom the caller's token stands for. @throws AccountInactive */
  @ReadOnly()
  async identity(caller: Caller): Promise<Identity> {
    const workspaceId = workspaceOf(caller);
    const identity = await this.repository.identity(workspaceId, caller.userId);
    if (!identity) throw new AccountInactive();
    ownWorkspace(workspaceId, [identity]);
    return identity;
  }
}
