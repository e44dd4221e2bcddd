/** A person or a bot of a workspace; the names are Slack's. */
export interface User {
  readonly workspace_id: string;
  readonly id: string;
  readonly name: string;
  readonly real_name: string;
  /** The app whose bot it is; `null` for a person. */
  readonly app_id: string | null;
  readonly is_admin: boolean;
  readonly deleted: boolean;
  /** Epoch seconds. */
  readonly updated: number;
}

/** A workspace. */
export interface Team {
  readonly workspace_id: string;
  readonly name: string;
  readonly domain: string;
}
