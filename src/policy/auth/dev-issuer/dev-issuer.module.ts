import { Module } from '@nestjs/common';
import { KeySource } from '../key-source';
import { DevIssuerController } from './dev-issuer.controller';
import { DevKeySource } from './dev-key-source';
import { DevKeys } from './dev-keys';
import { DevTokensService } from './dev-tokens.service';

/** An OIDC issuer of our own, for development; loaded by `AuthModule` where AUTH_ISSUER is unset outside of production. */
@Module({
  controllers: [DevIssuerController],
  providers: [DevKeys, DevTokensService, { provide: KeySource, useClass: DevKeySource }],
  exports: [KeySource],
})
export class DevIssuerModule {}
