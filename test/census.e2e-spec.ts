import { Test } from '@nestjs/testing';
import { AppModule } from '../src/app.module';
import { Config } from '../src/platform/config';
import { censusOf } from '../src/policy/census';
import { Routes } from '../src/policy/routes';
import { World } from './support/world';

describe('the census of all routes', () => {
  let world: World;
  let routes: Routes;
  let close: () => Promise<void>;

  beforeAll(async () => {
    world = await World.create();
    const config = Config.from({ ...world.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent' });
    const module = await Test.createTestingModule({ imports: [await AppModule.register(config)] }).compile();
    routes = module.get(Routes);
    close = () => module.close();
  });
  afterAll(async () => {
    await close();
    await world.end();
  });

  it('is as reviewed: a diff in this snapshot changes who can reach what, and under which policies', () => {
    expect(censusOf(routes.all())).toMatchSnapshot();
  });

  it('has an allow-list for every route that answers with data of a tenant', () => {
    const open = routes.all().filter(({ tenant, answer }) => tenant !== undefined && answer === undefined);
    expect(open.map(({ name }) => name)).toEqual([]);
  });

  it('audits everything that is done without a tenant, but for what is public', () => {
    const silent = routes.all().filter((route) => route.crossTenant && route.method !== 'GET' && !route.audited);
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  it('binds every idempotent route to a tenant', () => {
    const unbound = routes.all().filter(({ idempotent, tenant }) => idempotent && tenant === undefined);
    expect(unbound.map(({ name }) => name)).toEqual([]);
  });

  it('gives a reason for every route that is open, unmetered or without a tenant', () => {
    const reasons = routes.all().flatMap((route) => [route.public, route.crossTenant, route.unmetered]);
    expect(reasons.filter((reason) => reason !== undefined && reason.length < 10)).toEqual([]);
  });
});
