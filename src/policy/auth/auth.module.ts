import { type DynamicModule, Module } from '@nestjs/common';
import type { Config } from '../../platform/config';
import { SystemDatabaseModule } from '../../platform/database/system';
import { ThrottlingModule } from '../throttling/throttling.module';
import { AuthenticationGuard } from './authentication.guard';
import { AuthoriserCache } from './authoriser-cache';
import { BearerStrategy } from './bearer.strategy';
import { KeySet } from './key-set';
import { KeySource } from './key-source';
import { MeController } from './me.controller';
import { OidcKeySource } from './oidc-key-source';
import { RevocationFeed } from './revocation/revocation-feed';
import { RevocationList } from './revocation/revocation-list';
import { RevocationsController } from './revocation/revocations.controller';
import { RevocationsService } from './revocation/revocations.service';
import { RevocationsStore } from './revocation/revocations.store';
import { RolesGuard } from './roles.guard';

/** Who calls: tokens of one issuer, what they name, and their revocation. */
@Module({})
export class AuthModule {
  /** With AUTH_ISSUER unset the development issuer is loaded. @throws in production, where it must not be */
  static async register(config: Config): Promise<DynamicModule> {
    const issuer = config.get('AUTH_ISSUER');
    const source = issuer === undefined ? await devIssuer(config) : oidcIssuer(issuer, config.isProduction);
    return {
      module: AuthModule,
      imports: [SystemDatabaseModule, ThrottlingModule, ...(source.imports ?? [])],
      controllers: [MeController, RevocationsController],
      providers: [
        ...(source.providers ?? []),
        KeySet,
        BearerStrategy,
        AuthoriserCache,
        RevocationList,
        RevocationsStore,
        RevocationFeed,
        RevocationsService,
        AuthenticationGuard,
        RolesGuard,
      ],
      exports: [AuthenticationGuard, AuthoriserCache, RolesGuard],
    };
  }
}

type Source = Pick<DynamicModule, 'imports' | 'providers'>;

function oidcIssuer(issuer: string, requiresHttps: boolean): Source {
  return { providers: [{ provide: KeySource, useFactory: () => new OidcKeySource(issuer, requiresHttps) }] };
}

async function devIssuer(config: Config): Promise<Source> {
  if (config.isProduction) throw new Error('AUTH_ISSUER must be set in production');
  const { DevIssuerModule } = await import('./dev-issuer/dev-issuer.module.js');
  return { imports: [DevIssuerModule] };
}
