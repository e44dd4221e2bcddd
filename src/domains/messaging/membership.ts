import type { ChannelAccess } from './entities/channel.entity';
import { ChannelNotFound, IsArchived, NotInChannel } from './messaging.errors';

/** Passes who may write to a channel. @throws ChannelNotFound, NotInChannel, IsArchived */
export function refuseUnlessMember<Access extends ChannelAccess>(access: Access | undefined): asserts access is Access {
  refuseUnlessReader(access);
  if (access.is_archived) throw new IsArchived();
}

/** Passes who may read a channel. @throws ChannelNotFound, also for a private one of which the caller is no member; NotInChannel */
export function refuseUnlessReader<Access extends ChannelAccess>(access: Access | undefined): asserts access is Access {
  if (!access || (access.is_private && !access.is_member)) throw new ChannelNotFound();
  if (!access.is_member) throw new NotInChannel();
}
