// Checks what no container engine is needed for: that the files of a deployment agree with each other and with the source.
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
/** @type {string[]} */
const complaints = [];
const text = (path) => readFile(join(root, path), 'utf8');

/** Whichever YAML parser another package brought along. @returns {((text: string) => any) | undefined} */
function yamlParser() {
  for (const [name, method] of [
    ['yaml', 'parse'],
    ['js-yaml', 'load'],
  ]) {
    try {
      const parse = require(name)[method];
      return (source) => merged(name === 'yaml' ? parse(source, { merge: true }) : parse(source));
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

/** YAML 1.1's `<<`, which Compose knows and YAML 1.2 has dropped. */
function merged(value) {
  if (Array.isArray(value)) return value.map(merged);
  if (typeof value !== 'object' || value === null) return value;
  const { '<<': base, ...own } = value;
  const bases = [base ?? []].flat();
  return Object.fromEntries(
    Object.entries(Object.assign({}, ...bases, own)).map(([key, entry]) => [key, merged(entry)]),
  );
}

async function checkDockerfile() {
  const dockerfile = (await text('Dockerfile')).replaceAll(/\\\n\s*/g, ' ');
  const instructions = dockerfile.split('\n').filter((line) => /^[A-Z]+ /.test(line));
  const stages = instructions.flatMap((line) => / AS (\w+)$/.exec(line)?.[1] ?? []);
  for (const line of instructions) {
    const from = /--from=(\w+)/.exec(line)?.[1];
    if (from && !stages.includes(from)) complaints.push(`Dockerfile: no stage "${from}"`);
    if (/(PASSWORD|TOKEN|SECRET)=/.test(line)) complaints.push(`Dockerfile: a secret? ${line}`);
    for (const path of line.startsWith('COPY ') && !from ? line.split(/\s+/).slice(1, -1) : []) {
      if (!(await exists(path))) complaints.push(`Dockerfile copies ${path}, which is not there`);
    }
  }
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));
  const user = last.findLast((line) => line.startsWith('USER '));
  if (!user || /USER (root|0)/.test(user)) complaints.push('Dockerfile: the image runs as root');
  for (const wanted of ['HEALTHCHECK', 'ENTRYPOINT']) {
    const line = last.find((candidate) => candidate.startsWith(wanted));
    if (!line) complaints.push(`Dockerfile: no ${wanted}`);
    else JSON.parse(line.slice(line.indexOf('[')));
  }
}

/** @param {any} compose */
async function checkCompose(compose, source) {
  const { services, volumes } = compose;
  for (const [name, service] of Object.entries(services)) {
    const say = (what) => complaints.push(`docker-compose.yml: ${name} ${what}`);
    if (!service.image && !service.build) say('has neither image nor build');
    if (service.image && !/:[^:/]+$/.test(service.image)) say('has an image without a version');
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      if (!services[other]) say(`depends on ${other}, which is not there`);
      else if (condition === 'service_healthy' && !services[other].healthcheck?.test)
        say(`waits for the health of ${other}`);
      else if (condition === 'service_completed_successfully' && services[other].restart !== 'no')
        say(`waits for ${other} to end`);
    }
    for (const volume of service.volumes ?? []) {
      const [from] = volume.split(':');
      if (from.startsWith('.') ? !(await exists(from)) : !(from in volumes)) say(`mounts ${from}, which is not there`);
    }
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (/PASSWORD|SECRET|_TOKEN/.test(variable) && !/^\$\{\w+:?[?-]\}?/.test(String(value)))
        say(`holds ${variable} in the file`);
      if (/:\/\/\w*:[^@]*@/.test(String(value)) && !/:\/\/\w*:\$\{\w+:\?[^}]*\}@/.test(String(value)))
        say(`holds a password in ${variable}`);
    }
    const known = await knownVariables();
    if (service.image === 'gatehouse:local') {
      for (const variable of Object.keys(service.environment))
        if (!known.has(variable)) say(`sets ${variable}, which nobody reads`);
      const entry = /** @type {string[]} */ (service.entrypoint ?? []).find((word) => word.startsWith('dist/'));
      if (entry && !(await exists(entry.replace('dist/', 'src/').replace(/\.js$/, '.ts'))))
        say(`runs ${entry}, which has no source`);
    }
    if (['api', 'worker'].includes(name) && service.ports) say('has a fixed port and cannot be scaled');
  }
  if (/\t/.test(source)) complaints.push('docker-compose.yml: a tab');
}

/** @param {any} alerts */
async function checkAlerts(alerts) {
  const anchors = new Set(
    [...(await text('docs/operations.md')).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
  const sources = await sourceText();
  const notOurs = /^(?:up|nodejs_\w+|process_\w+)$/;
  for (const { rules } of alerts.groups) {
    for (const { alert, expr, labels, annotations } of rules) {
      const [file, anchor] = annotations.runbook.split('#');
      if (file !== 'docs/operations.md' || !anchors.has(anchor))
        complaints.push(`alert ${alert}: no runbook ${annotations.runbook}`);
      if (!['page', 'ticket'].includes(labels.severity) || !annotations.summary)
        complaints.push(`alert ${alert}: severity or summary`);
      const names =
        expr.replaceAll(/\{[^}]*\}|\b(?:by|on|without)\s*(?:\([^)]*\))?/g, '').match(/\b[a-z]\w*_\w+\b|\bup\b/g) ?? [];
      const metrics = names.filter((name) => name !== 'histogram_quantile');
      if (metrics.length === 0) complaints.push(`alert ${alert}: no metric`);
      for (const name of metrics) {
        const registered = name.replace(/_(bucket|count|sum)$/, '');
        if (!notOurs.test(name) && !sources.includes(`'${name}'`) && !sources.includes(`'${registered}'`)) {
          complaints.push(`alert ${alert}: nobody counts ${name}`);
        }
      }
    }
  }
}

/** `$PROMTOOL`, the machine's own, or that of Debian's package, unpacked and not installed; on other systems there may be none. */
async function findPromtool() {
  const cache = join(root, '.gatehouse', 'cache', 'promtool');
  const unpacked = join(cache, 'root', 'usr', 'bin', 'promtool');
  const here = [process.env.PROMTOOL, 'promtool', unpacked].find(
    (command) => command && spawnSync(command, ['--version']).status === 0,
  );
  if (here) return here;
  if (!(await exists('/etc/debian_version', ''))) {
    process.stdout.write('No promtool is here: the alerts were not tested\n');
    return undefined;
  }
  try {
    const { unpackPackages } = require('../dist/platform/embedded/apt-packages.js');
    const log = (line) => process.stdout.write(`${line}\n`);
    await unpackPackages(cache, ['prometheus'], log, () => log('Fetching Debian’s promtool'));
    return unpacked;
  } catch (error) {
    complaints.push(`no promtool (after npm run build, Debian's package prometheus is unpacked): ${error.message}`);
    return undefined;
  }
}

async function knownVariables() {
  return new Set(
    [...(await text('src/platform/config/variables.ts')).matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name]) => name),
  );
}

async function sourceText() {
  const files = (await readdir(join(root, 'src'), { recursive: true })).filter(
    (path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'),
  );
  return (await Promise.all(files.map((file) => text(join('src', file))))).join('\n');
}

async function exists(path, base = root) {
  return (
    (await readFile(join(base, path), 'utf8').catch((error) => (error.code === 'EISDIR' ? '' : undefined))) !==
    undefined
  );
}

/** Names and phone numbers stand in URLs, and the image's own setting logs each of them. */
async function checkNginx() {
  const conf = await text('deploy/nginx/default.conf');
  if (!/^ *access_log off;$/m.test(conf) || !/^ *error_log \S+ emerg;$/m.test(conf))
    complaints.push('nginx: what is asked for would be logged, with its query');
}

await checkDockerfile();
await checkNginx();
const parse = yamlParser();
if (parse) {
  const source = await text('docker-compose.yml');
  await checkCompose(parse(source), source);
  await checkAlerts(parse(await text('deploy/prometheus/alerts.yml')));
} else {
  process.stdout.write('No YAML parser is installed: docker-compose.yml and the alerts were not read\n');
}
const promtool = await findPromtool();
for (const task of [
  ['check', 'rules', 'deploy/prometheus/alerts.yml'],
  ['check', 'config', 'deploy/prometheus/prometheus.yml'],
  ['test', 'rules', 'deploy/prometheus/alerts.test.yml'],
]) {
  if (promtool === undefined) break;
  const { status, stdout, stderr, error } = spawnSync(promtool, task, { cwd: root, encoding: 'utf8' });
  if (status !== 0) complaints.push(`promtool ${task.join(' ')}: ${error ?? stderr + stdout}`);
}
for (const complaint of complaints) process.stdout.write(`${complaint}\n`);
process.stdout.write(`${complaints.length} complaints\n`);
process.exitCode = complaints.length > 0 ? 1 : 0;
