import { DomainError } from '../../policy';

/** Nothing of that name that the caller may see; Slack says the same of what is another workspace's. */
export class ChannelNotFound extends DomainError {
  constructor() {
    super('channel_not_found', 'not_found', 'Channel not found');
  }
}

export class NotInChannel extends DomainError {
  constructor() {
    super('not_in_channel', 'forbidden', 'The bot is not a member of the channel');
  }
}

export class IsArchived extends DomainError {
  constructor() {
    super('is_archived', 'conflict', 'The channel is archived');
  }
}

export class NoText extends DomainError {
  constructor() {
    super('no_text', 'invalid', 'The message has no text');
  }
}

export class MessageTooLong extends DomainError {
  constructor() {
    super('msg_too_long', 'invalid', 'The text is too long');
  }
}

export class MessageNotFound extends DomainError {
  constructor() {
    super('message_not_found', 'not_found', 'Message not found');
  }
}

export class ThreadNotFound extends DomainError {
  constructor() {
    super('thread_not_found', 'not_found', 'Thread not found');
  }
}

/** Only who posted a message, through the app that posted it, changes it. */
export class CannotUpdateMessage extends DomainError {
  constructor() {
    super('cant_update_message', 'forbidden', 'The message is somebody else’s');
  }
}

export class CannotDeleteMessage extends DomainError {
  constructor() {
    super('cant_delete_message', 'forbidden', 'The message is somebody else’s');
  }
}

export class NameTaken extends DomainError {
  constructor() {
    super('name_taken', 'conflict', 'A channel of this name exists');
  }
}

export class UserNotFound extends DomainError {
  constructor() {
    super('user_not_found', 'not_found', 'User not found');
  }
}

/** The token's user or workspace is no more. */
export class AccountInactive extends DomainError {
  constructor() {
    super('account_inactive', 'forbidden', 'The token’s user does not exist in its workspace');
  }
}

export class InvalidCursor extends DomainError {
  constructor() {
    super('invalid_cursor', 'invalid', 'The cursor is none that a list gave');
  }
}

export class UnknownMethod extends DomainError {
  constructor() {
    super('unknown_method', 'not_found', 'There is no method of this name');
  }
}
