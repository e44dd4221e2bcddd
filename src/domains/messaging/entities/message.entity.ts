/** A message as it is stored; times in microseconds since 1970, as texts. */
export interface Message {
  readonly workspace_id: string;
  readonly ts: string;
  readonly user_id: string;
  readonly app_id: string;
  readonly text: string;
  /** The message that this one replies to. */
  readonly thread_ts: string | null;
  readonly reply_count: number;
  readonly latest_reply: string | null;
  readonly edited_ts: string | null;
  /** Deleted, and kept without its text for its replies. */
  readonly is_tombstone: boolean;
}
