import { ApiProperty } from '@nestjs/swagger';
import { type Role, roles } from '../caller';

const name = { type: String, minLength: 1, maxLength: 255, required: false };
/** `null` leaves out a claim that has a default. */
const nameOrNone = { ...name, nullable: true };

/** What a development token claims unless asked otherwise. */
export const devDefaults = {
  sub: 'user_dev',
  client_id: 'client_dev',
  practice_id: 'practice_p001',
  role: 'scheduling_agent',
  expiresInSeconds: 3_600,
} as const;

/** The bot of an app in the demo workspace: what Slack's methods want of a token. */
export const demoBot = {
  sub: 'U0DEMOBOT',
  client_id: 'app_standup',
  workspace_id: 'T0DEMO',
  practice_id: null,
  role: null,
  scope: 'chat:write channels:read channels:history channels:join channels:manage users:read team:read',
} as const;

/** The claims of a development token; `{}` is a scheduling agent of the first demo practice. */
export class DevTokenRequest {
  @ApiProperty({ ...name, default: devDefaults.sub })
  readonly sub?: string;

  @ApiProperty({
    ...nameOrNone,
    default: devDefaults.client_id,
    description: 'The app; null for a token that names none',
  })
  readonly client_id?: string | null;

  @ApiProperty({ ...nameOrNone, default: devDefaults.practice_id, description: 'null for a token without a practice' })
  readonly practice_id?: string | null;

  @ApiProperty({ ...name, example: demoBot.workspace_id })
  readonly workspace_id?: string;

  @ApiProperty({ ...name, example: 'account_a001' })
  readonly account_id?: string;

  @ApiProperty({ type: String, enum: [...roles, null], nullable: true, required: false, default: devDefaults.role })
  readonly role?: Role | null;

  @ApiProperty({ type: String, maxLength: 2_000, required: false, example: 'accounts:read payments:write' })
  readonly scope?: string;

  @ApiProperty({ ...name, description: 'Content plan', example: 'premium' })
  readonly plan?: string;

  @ApiProperty({ ...name, example: 'enterprise' })
  readonly usage_plan?: string;

  @ApiProperty({ ...name, example: 'eu-west-1' })
  readonly region?: string;

  @ApiProperty({ ...name, example: 'device_d001' })
  readonly device_id?: string;

  @ApiProperty({ ...name, description: 'A new one unless given' })
  readonly jti?: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: 31_536_000,
    default: devDefaults.expiresInSeconds,
    required: false,
  })
  readonly expiresInSeconds?: number;
}

/** RFC 6749 §5.1 */
export class DevTokenView {
  @ApiProperty({ type: String })
  readonly access_token!: string;

  @ApiProperty({ type: String, example: 'Bearer' })
  readonly token_type!: string;

  @ApiProperty({ type: 'integer', description: 'Seconds', example: 3_600 })
  readonly expires_in!: number;
}

/** RFC 6749 §4.4.2; the client may also stand in an `Authorization: Basic` header. */
export class ClientCredentialsRequest {
  @ApiProperty({ type: String, enum: ['client_credentials'], example: 'client_credentials' })
  readonly grant_type!: string;

  @ApiProperty({
    type: String,
    maxLength: 255,
    required: false,
    description: 'A demo user, named by its role, or the bot `app_standup`',
    example: devDefaults.role,
  })
  readonly client_id?: string;

  @ApiProperty({ type: String, maxLength: 255, required: false, description: 'Any', example: 'any' })
  readonly client_secret?: string;

  @ApiProperty({ type: String, maxLength: 2_000, required: false })
  readonly scope?: string;
}

/** OpenID Connect Discovery 1.0 §3, as far as a resource server's clients read it. */
export class DiscoveryView {
  @ApiProperty({ type: String, example: 'http://localhost:3000' })
  readonly issuer!: string;

  @ApiProperty({ type: String })
  readonly jwks_uri!: string;

  @ApiProperty({ type: String })
  readonly token_endpoint!: string;

  @ApiProperty({ type: [String], example: ['client_credentials'] })
  readonly grant_types_supported!: readonly string[];

  @ApiProperty({ type: [String] })
  readonly token_endpoint_auth_methods_supported!: readonly string[];

  @ApiProperty({ type: [String] })
  readonly response_types_supported!: readonly string[];

  @ApiProperty({ type: [String], example: ['public'] })
  readonly subject_types_supported!: readonly string[];

  @ApiProperty({ type: [String], example: ['RS256'] })
  readonly id_token_signing_alg_values_supported!: readonly string[];
}

export class JwkView {
  @ApiProperty({ type: String, example: 'RSA' })
  readonly kty!: string;

  @ApiProperty({ type: String })
  readonly kid!: string;

  @ApiProperty({ type: String, example: 'RS256' })
  readonly alg!: string;

  @ApiProperty({ type: String, example: 'sig' })
  readonly use!: string;

  @ApiProperty({ type: String })
  readonly n!: string;

  @ApiProperty({ type: String, example: 'AQAB' })
  readonly e!: string;
}

/** RFC 7517 §5 */
export class JwksView {
  @ApiProperty({ type: [JwkView] })
  readonly keys!: readonly JwkView[];
}
