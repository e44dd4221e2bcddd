import { Body, Controller, Get, Header, Headers, Post } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { Config } from '../../../platform/config';
import { TakesBody } from '../../body/body.decorator';
import { Responds } from '../../responses/responds.decorator';
import { Unmetered } from '../../throttling/throttling.decorators';
import { Public } from '../access.decorators';
import { DevKeys } from './dev-keys';
import { ClientCredentialsRequest, DevTokenRequest, DevTokenView, DiscoveryView, JwksView } from './dev-tokens.dto';
import { DevTokensService } from './dev-tokens.service';
import { devIssuerOf } from './issuer-url';

@Controller()
@Public('development issuer: who asks has no token yet')
@Unmetered('development only')
export class DevIssuerController {
  private readonly port: number;

  constructor(
    private readonly keys: DevKeys,
    private readonly tokens: DevTokensService,
    config: Config,
  ) {
    this.port = config.get('PORT');
  }

  @Get('.well-known/openid-configuration')
  @ApiOperation({ summary: 'Describe the development issuer' })
  @Responds(200, DiscoveryView)
  discovery(@Headers('host') host?: string): DiscoveryView {
    const issuer = devIssuerOf(host, this.port);
    return {
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      token_endpoint: `${issuer}/dev/oauth/token`,
      grant_types_supported: ['client_credentials'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      response_types_supported: ['token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    };
  }

  @Get('.well-known/jwks.json')
  @ApiOperation({ summary: 'Publish the development issuer’s keys' })
  @Responds(200, JwksView)
  async jwks(): Promise<{ keys: readonly unknown[] }> {
    return { keys: [await this.keys.publicJwk()] };
  }

  @Post('dev/tokens')
  @ApiOperation({ summary: 'Issue a development token with any claims' })
  @Header('Cache-Control', 'no-store')
  @Responds(200, DevTokenView)
  token(@Body() request: DevTokenRequest, @Headers('host') host?: string): Promise<DevTokenView> {
    return this.tokens.issue(devIssuerOf(host, this.port), request);
  }

  @Post('dev/oauth/token')
  @ApiOperation({ summary: 'Issue a development token to a demo client' })
  @TakesBody({ kind: 'form' })
  @Header('Cache-Control', 'no-store')
  @Responds(200, DevTokenView)
  clientToken(
    @Body() request: ClientCredentialsRequest,
    @Headers('host') host?: string,
    @Headers('authorization') authorization?: string,
  ): Promise<DevTokenView> {
    return this.tokens.issueToClient(devIssuerOf(host, this.port), authorization, request);
  }
}
