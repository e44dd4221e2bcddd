// @ts-check
/**
 * The cached decision on a token, beside full RS256 verification and beside fast-jwt's own cache; then 1,000 requests with one token over HTTP;
 * and how long after its revocation on one process a token that another process keeps is refused there.
 * Goals: a hit ≤ 2 µs; 1,000 requests = 1 verification; the longest of 20 revocations ≤ 1 s.
 */
import { audience, claims, issuer, peerIssuer } from '../identity.mjs';
import { inTurn, load, ratio, sample } from '../measure.mjs';
import { startOurs } from '../ours/server.mjs';
import { runScript, startGround } from '../servers.mjs';

const HIT_GOAL_MICROSECONDS = 2;
const REQUESTS = 1000;
const REVOCATIONS = 20;
const REVOCATION_GOAL_MS = 1000;
const LIBRARIES = ['jsonwebtoken', 'jose', 'fast-jwt', 'fast-jwt, cached'];

/** @param {import('../measure.mjs').Options} options @returns {Promise<import('../report.mjs').Report>} */
export default async function authoriser(options) {
  const { publicKeyPem, publicJwk, token } = peerIssuer();
  const config = { token: await token(), publicKeyPem, jwk: publicJwk, issuer, audience };
  const subjects = [
    ...(options.peersOnly ? [] : [{ name: 'ours', module: '../ours/authoriser.mjs' }]),
    ...LIBRARIES.map((name) => ({ name, module: '../peers/authoriser.mjs' })),
  ];
  const results = await inTurn(
    options.rounds,
    subjects,
    ({ name, module }) =>
      /** @type {Promise<import('../micro.mjs').MicroResult>} */ (
        runScript(
          'micro.mjs',
          {
            module: new URL(module, import.meta.url).href,
            config: { ...config, library: name },
            mode: 'serial',
            warmupSeconds: options.warmupSeconds,
            seconds: options.seconds,
          },
          { place: 'server' },
        )
      ),
  );
  const microseconds = new Map(
    [...results].map(([name, list]) => [
      name,
      sample(list.map(({ seconds, operations }) => (seconds / operations) * 1e6)),
    ]),
  );
  const ours = microseconds.get('ours') ?? null;
  /** @type {import('../report.mjs').Row[]} */
  const rows = LIBRARIES.map((name) => {
    const theirs = /** @type {import('../measure.mjs').Sample} */ (microseconds.get(name));
    return {
      what: 'one decision',
      unit: 'µs',
      ours,
      peer: name,
      theirs,
      ratio: ours && ratio(ours, theirs),
      goal: `≤ ${HIT_GOAL_MICROSECONDS} µs`,
      met: ours && ours.median <= HIT_GOAL_MICROSECONDS,
    };
  });
  /** @type {string[]} */
  const notes = [];
  const verifications = options.peersOnly
    ? null
    : await verificationsOverHttp(options).catch((error) => {
        notes.push(`verifications over HTTP could not be counted: ${error instanceof Error ? error.message : error}`);
        return null;
      });
  rows.push(verificationsRow(verifications));
  if (!options.peersOnly) rows.push(await revocations());
  return { rows, notes, detail: Object.fromEntries(results) };
}

/** @param {number | null} count @returns {import('../report.mjs').Row} */
function verificationsRow(count) {
  return {
    what: `verifications for ${REQUESTS.toLocaleString('en-GB')} requests with one token`,
    unit: 'count',
    ours: count === null ? null : sample([count]),
    peer: '',
    theirs: null,
    ratio: null,
    goal: '1',
    met: count === null ? null : count === 1,
  };
}

/** @param {import('../measure.mjs').Options} options */
async function verificationsOverHttp({ connections }) {
  const ground = await startGround({ postgres: true });
  const ours = await startOurs({ dataDir: ground.dataDir });
  const headers = { Authorization: `Bearer ${await ours.token({ ...claims, sub: 'user_authoriser' })}` };
  const before = await ours.counter('authoriser_verifications_total');
  const { host, port } = ours;
  await load(
    {
      host,
      port,
      connections,
      mode: 'closed',
      warmupSeconds: 0,
      seconds: 0,
      requests: REQUESTS,
      workload: 'fixed.mjs',
      args: { requests: [{ path: '/me', headers }] },
    },
    { expect: [200] },
  );
  const after = await ours.counter('authoriser_verifications_total');
  await ours.stop();
  await ground.stop();
  return after - before;
}

/** @returns {Promise<import('../report.mjs').Row>} */
async function revocations() {
  const ground = await startGround({ postgres: true });
  const { dataDir } = ground;
  const [here, there] = [await startOurs({ dataDir }), await startOurs({ dataDir, name: 'ours-2' })];
  const operator = await here.token({ ...claims, sub: 'user_operator', role: 'operator' });
  const json = { 'content-type': 'application/json' };
  const delays = [];
  for (let n = 0; n < REVOCATIONS; n++) {
    const jti = `tok_${crypto.randomUUID()}`;
    const headers = { authorization: `Bearer ${await here.token({ ...claims, jti })}` };
    const asked = async () => (await fetch(`${there.url}/me`, { headers })).status;
    if ((await asked()) !== 200) throw new Error('a fresh token was refused');
    const { status } = await fetch(`${here.url}/auth/revocations`, {
      method: 'POST',
      headers: { ...json, authorization: `Bearer ${operator}` },
      body: JSON.stringify({ jti }),
    });
    if (status !== 201) throw new Error(`the revocation got ${status}`);
    const answeredAt = performance.now();
    while ((await asked()) === 200);
    delays.push(performance.now() - answeredAt);
  }
  await Promise.all([here.stop(), there.stop()]);
  await ground.stop();
  const ours = sample(delays);
  return {
    what: 'a kept token, refused on another process after its revocation',
    unit: 'ms',
    ours,
    peer: '',
    theirs: null,
    ratio: null,
    goal: `≤ ${REVOCATION_GOAL_MS} ms`,
    met: ours.max <= REVOCATION_GOAL_MS,
  };
}
