import { ApiProperty } from '@nestjs/swagger';
import type { ErrorShape, Refusal } from '../../policy';

class ResponseMessages {
  @ApiProperty({ type: [String], example: ['[ERROR] missing required field: channel'] })
  readonly messages!: string[];
}

/** What Slack's methods say when they refuse. */
export class SlackError {
  @ApiProperty({ type: Boolean, enum: [false], example: false })
  readonly ok!: boolean;

  @ApiProperty({ type: String, description: 'Stable and machine-readable', example: 'channel_not_found' })
  readonly error!: string;

  @ApiProperty({ type: String, required: false, description: 'With `missing_scope`', example: 'chat:write' })
  readonly needed?: string;

  @ApiProperty({ type: String, required: false, description: 'With `missing_scope`', example: 'channels:read' })
  readonly provided?: string;

  @ApiProperty({ type: () => ResponseMessages, required: false, description: 'With `invalid_arguments`' })
  readonly response_metadata?: ResponseMessages;
}

/** Slack's word for each code of the policies; the domain's own codes are Slack's already. */
const slackCodes: Readonly<Record<string, string>> = {
  token_required: 'not_authed',
  invalid_request: 'invalid_auth',
  invalid_token: 'invalid_auth',
  tenant_required: 'invalid_auth',
  insufficient_scope: 'missing_scope',
  insufficient_role: 'no_permission',
  firewall_rule: 'access_denied',
  origin_refused: 'access_denied',
  validation_failed: 'invalid_arguments',
  value_invalid: 'invalid_arguments',
  cursor_invalid: 'invalid_cursor',
  body_required: 'invalid_form_data',
  too_many_fields: 'invalid_form_data',
  forbidden_property: 'invalid_form_data',
  invalid_utf8: 'invalid_charset',
  malformed_json: 'invalid_json',
  invalid_body: 'invalid_json',
  json_too_deep: 'invalid_json',
  unsupported_media_type: 'invalid_post_type',
  request_aborted: 'request_timeout',
};

/**
 * Slack's envelope (docs.slack.dev/apis/web-api, "Evaluating responses"): a refusal is a 200 with `ok: false`, a rate limit
 * a 429 with `Retry-After`. Failures of ours keep their 5xx, so that the SDK tries again and nothing is charged for them.
 */
export const slackErrors: ErrorShape = {
  name: 'Slack',
  view: SlackError,
  statusOf: (status) => (status >= 500 || status === 429 ? status : 200),
  bodyOf: (refusal) => ({ ok: false, error: errorOf(refusal), ...detailsOf(refusal) }),
};

function errorOf({ problem: { status, code, reason } }: Refusal): string {
  if (status === 429) return 'ratelimited';
  if (status === 503) return 'service_unavailable';
  // What was begun when the deadline passed may have been done.
  if (status === 504) return 'fatal_error';
  if (status >= 500) return 'internal_error';
  if (reason === 'expired') return 'token_expired';
  if (reason === 'revoked') return 'token_revoked';
  return slackCodes[code] ?? code;
}

function detailsOf({ problem, neededScopes, caller }: Refusal): Partial<SlackError> {
  const { code, members } = problem;
  if (code === 'insufficient_scope') {
    return { needed: neededScopes.join(','), provided: (caller?.scopes ?? []).join(',') };
  }
  const errors = members.errors as readonly { path: string; message: string }[] | undefined;
  if (code !== 'validation_failed' || !errors) return {};
  return { response_metadata: { messages: errors.map(({ path, message }) => `[ERROR] ${path} ${message}`) } };
}
