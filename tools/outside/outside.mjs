// The outside world of development and tests: an SMS provider and a CRM in the shape of HubSpot's API. Both keep what they
// get in memory and know a repetition again, as the real ones do. Never part of a deployment.
import { createServer } from 'node:http';

const host = process.env.OUTSIDE_HOST ?? '127.0.0.1';
const port = Number(process.env.OUTSIDE_PORT ?? 4010);
const maxBodyBytes = 1_048_576;
/**
 * `down` answers 503, `reject` 400, `limited` 429. `slow` keeps the caller waiting and does nothing for one that leaves;
 * `mute` does what was asked, and keeps the answer back; `late` is slow to the first caller alone, whom all others overtake.
 * Who still waits when the mode changes gets the answer then.
 */
const modes = new Set(['ok', 'down', 'slow', 'mute', 'late', 'reject', 'limited']);

/** @type {{ sms: string, crm: string }} */
const mode = { sms: 'ok', crm: 'ok' };
/** How many came since the mode was set. */
const since = { sms: 0, crm: 0 };
/** @type {Map<string, { to: string, body: string, key: string, repeated: number }>} messages by idempotency key */
const messages = new Map();
/** @type {Map<string, { id: string, uniqueId: string, properties: Record<string, string>, writes: string[] }>} */
const meetings = new Map();
/** Requests that came, answered or not. */
const seen = { sms: 0, crm: 0 };
/** The names under which each service's last request came. */
const headers = { sms: {}, crm: {} };

// Longer than clients keep a connection: none sends its next request as it closes.
const keptMs = 65_000;
const server = createServer({ keepAliveTimeout: keptMs }, (request, response) => {
  handle(request, response).catch((error) => answer(response, 500, { message: String(error) }));
});

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
async function handle(request, response) {
  const { pathname } = new URL(request.url ?? '/', `http://${host}`);
  const route = `${request.method} ${pathname}`;
  if (route === 'GET /_sent') return answer(response, 200, sent());
  if (route === 'GET /_mode') return answer(response, 200, mode);
  const body = await readJson(request);
  if (route === 'POST /_mode') return setMode(body, response);
  if (route === 'POST /_reset') return reset(response);
  if (route === 'POST /sms') return received('sms', request, response, () => takeMessage(request, body));
  if (
    route === 'POST /crm/crm/v3/objects/meetings/batch/upsert' ||
    route === 'POST /crm/v3/objects/meetings/batch/upsert'
  )
    return received('crm', request, response, () => takeMeetings(body));
  return answer(response, 404, { message: 'not found' });
}

function sent() {
  return { sms: [...messages.values()], crm: [...meetings.values()], seen, headers };
}

function setMode(body, response) {
  for (const [service, wanted] of Object.entries(body ?? {})) {
    if (!(service in mode) || !modes.has(wanted))
      return answer(response, 400, { message: `no mode ${service}=${wanted}` });
  }
  Object.assign(mode, body);
  Object.assign(since, { sms: 0, crm: 0 });
  return answer(response, 200, mode);
}

function reset(response) {
  messages.clear();
  meetings.clear();
  Object.assign(seen, { sms: 0, crm: 0 });
  Object.assign(mode, { sms: 'ok', crm: 'ok' });
  return answer(response, 200, {});
}

/** Does what the mode says; `take` has the effect and gives the answer's status and body. */
async function received(service, request, response, take) {
  seen[service] += 1;
  since[service] += 1;
  headers[service] = {
    correlationId: request.headers['x-correlation-id'],
    traceparent: request.headers.traceparent,
    idempotencyKey: request.headers['idempotency-key'],
  };
  const isOvertaken = mode[service] === 'late' && since[service] === 1;
  switch (isOvertaken ? 'slow' : mode[service]) {
    case 'down':
      return answer(response, 503, { status: 'error', message: 'down' });
    case 'reject':
      return answer(response, 400, { status: 'error', category: 'VALIDATION_ERROR', message: 'rejected' });
    case 'limited':
      return answer(response, 429, { status: 'error', category: 'RATE_LIMITS' }, { 'Retry-After': '1' });
    case 'slow':
      return (await modeChanges(service, response)) && answer(response, ...take());
    case 'mute': {
      const result = take();
      return (await modeChanges(service, response)) && answer(response, ...result);
    }
    default:
      return answer(response, ...take());
  }
}

/** True once the mode changes, false once the caller has left. */
function modeChanges(service, response) {
  const before = mode[service];
  return new Promise((resolve) => {
    const check = setInterval(() => mode[service] !== before && finish(true), 20);
    const finish = (changed) => {
      clearInterval(check);
      resolve(changed);
    };
    response.once('close', () => finish(false));
  });
}

/** @returns {[number, unknown]} */
function takeMessage(request, body) {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || typeof body?.to !== 'string' || typeof body?.body !== 'string')
    return [400, { message: 'to, body and Idempotency-Key are required' }];
  const known = messages.get(key);
  if (known) known.repeated += 1;
  else messages.set(key, { to: body.to, body: body.body, key, repeated: 0 });
  return [201, { id: `sms_${key}` }];
}

/** @returns {[number, unknown]} */
function takeMeetings(body) {
  if (!Array.isArray(body?.inputs) || body.inputs.length === 0 || body.inputs.length > 100)
    return [400, { status: 'error', category: 'VALIDATION_ERROR', message: '1 to 100 inputs' }];
  const results = body.inputs.map(({ id, idProperty, properties, objectWriteTraceId }) => {
    const uniqueId = `${idProperty ?? 'hs_object_id'}=${id}`;
    const known = meetings.get(uniqueId);
    const meeting = known ?? { id: String(1000 + meetings.size), uniqueId, properties: {}, writes: [] };
    Object.assign(meeting.properties, properties);
    meeting.writes.push(objectWriteTraceId ?? '');
    meetings.set(uniqueId, meeting);
    return { id: meeting.id, properties: meeting.properties, new: known === undefined, archived: false };
  });
  return [200, { status: 'COMPLETE', results }];
}

/** @param {import('node:http').IncomingMessage} request */
async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  return text === '' ? undefined : JSON.parse(text);
}

/** @param {import('node:http').ServerResponse} response */
function answer(response, status, body, headers = {}) {
  if (response.writableEnded || response.destroyed) return;
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

server.listen(port, host, () => {
  process.stdout.write(`outside world at http://${host}:${server.address().port}\n`);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
