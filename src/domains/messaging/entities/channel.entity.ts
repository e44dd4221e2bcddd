/** A channel, as one user sees it; the names are Slack's. */
export interface Channel {
  readonly workspace_id: string;
  readonly id: string;
  readonly name: string;
  readonly is_private: boolean;
  readonly is_archived: boolean;
  readonly is_general: boolean;
  readonly creator: string;
  readonly num_members: number;
  /** Epoch seconds. */
  readonly created: number;
  /** Whether the user who asks is one of its members. */
  readonly is_member: boolean;
}

/** What a user may do in a channel, which exists. */
export interface ChannelAccess {
  /** Whether the workspace has the user, and did not deactivate it. */
  readonly is_active: boolean;
  readonly is_private: boolean;
  readonly is_archived: boolean;
  readonly is_member: boolean;
}
