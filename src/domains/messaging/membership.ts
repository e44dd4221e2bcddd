import type { ChannelAccess } from './entities/channel.entity';
import { AccountInactive, ChannelNotFound, IsArchived, NotInChannel } from './messaging.errors';

/** Passes who may write to a channel. @throws AccountInactive, ChannelNotFound, NotInChannel, IsArchived */
export function refuseUnlessMember<Access extends ChannelAccess>(access: Access | undefined): asserts access is Access {
  refuseUnlessReader(access);
  if (access.is_archived) throw new IsArchived();
}

/** Passes who may read a channel. @throws AccountInactive, ChannelNotFound, NotInChannel */
export function refuseUnlessReader<Access extends ChannelAccess>(access: Access | undefined): asserts access is Access {
  refuseUnlessSeen(access);
  if (!access.is_member) throw new NotInChannel();
}

/** Passes who may know of a channel: of a private one, its members. @throws AccountInactive, ChannelNotFound */
export function refuseUnlessSeen<Access extends ChannelAccess>(access: Access | undefined): asserts access is Access {
  if (access && !access.is_active) throw new AccountInactive();
  if (!access || (access.is_private && !access.is_member)) throw new ChannelNotFound();
}
