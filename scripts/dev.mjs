// `npm run start:dev`: builds, runs dist/main.js, and does both again when a source changes.
import { spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const next = join(root, 'dist-next');
/** Names the process that builds and runs in this checkout, and says so when it is about to end. */
const claim = join(root, '.gatehouse', 'dev.pid');
const stopping = 'stopping';
const claimCheckMs = 50;
const debounceMs = 150;
const parentCheckMs = 1_000;
/** Loaded before what this starts: when this process is gone, however it went, the channel closes and the child stops. */
const stopWithParent = `data:text/javascript,process.once('disconnect',()=>process.kill(process.pid,'SIGTERM'))`;

const say = (line) => process.stderr.write(`dev: ${line}\n`);

/** @type {import('node:child_process').ChildProcess | undefined} */
let child;
let isFirst = true;
let isStopping = false;
let claims = false;

/** Builds beside `dist` and moves it there when it is whole: what does not compile leaves the running build alone. */
async function compile() {
  const began = performance.now();
  await Promise.all([build(next), rm(join(root, 'dist-former'), { recursive: true, force: true })]);
  if (existsSync(dist)) await rename(dist, join(root, 'dist-former'));
  await rename(next, dist);
  await rm(join(root, 'dist-former'), { recursive: true, force: true });
  say(`built in ${Math.round(performance.now() - began)} ms`);
}

/** swc's messages go on with a backtrace of its own. @param {unknown} error */
function reasonOf(error) {
  return (error instanceof Error ? error.message : String(error)).split(/\n+(?:Caused by|Stack backtrace):/, 1)[0];
}

/** One at a time: a second one would build over what runs. One that is about to end is waited for. */
async function claimCheckout() {
  mkdirSync(dirname(claim), { recursive: true });
  const own = writeBeside(String(process.pid));
  const removeOwn = () => rmSync(own, { force: true });
  process.once('exit', removeOwn); // a signal ends the wait without what follows it
  for (let waits = false; !takes(own);) {
    const [pid, state] = claimant();
    if (!runsDev(pid)) {
      rmSync(claim, { force: true }); // of one that was killed
    } else if (state === stopping) {
      if (!waits) say(`waits for process ${pid}, which is about to end`);
      waits = true;
      await pause(claimCheckMs);
    } else {
      say(`Gatehouse runs from this folder already (process ${pid})`);
      process.exit(1);
    }
  }
  removeOwn();
  claims = true;
  process.once('exit', () => rmSync(claim, { force: true }));
}

/** A claim is put in its place when it is whole: whoever reads half of one would take it for nobody's. @param {string} text */
function writeBeside(text) {
  const own = `${claim}.${process.pid}`;
  writeFileSync(own, text);
  return own;
}

/** Makes a claim that was written whole, if there is no other. @param {string} own */
function takes(own) {
  try {
    linkSync(own, claim);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Who runs in this checkout, and whether it says that it ends. @returns {[pid: number, state: string | undefined]} */
function claimant() {
  try {
    const [pid, state] = readFileSync(claim, 'utf8').split(' ');
    return [Number(pid), state];
  } catch (error) {
    if (error.code === 'ENOENT') return [0, undefined]; // it has just ended
    throw error;
  }
}

/** Whether that process is one like this; its id may have passed to another program. @param {number} pid */
function runsDev(pid) {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('dev.mjs');
  } catch (error) {
    return error.code === 'ENOENT' && !existsSync('/proc'); // it lives, and there is no /proc here to ask
  }
}

function start() {
  const args = ['--enable-source-maps', '--import', stopWithParent, join(dist, 'main.js')];
  const started = spawn(process.execPath, args, {
    cwd: root,
    env: { NODE_ENV: 'development', LOG_FORMAT: 'pretty', ...process.env },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  child = started;
  const belongsToFirstStart = isFirst;
  isFirst = false;
  started.once('exit', (code, signal) => {
    if (child === started) child = undefined;
    // What refuses its environment or breaks at once is for whoever called; after a change the next one may mend it.
    if (isStopping || belongsToFirstStart) leave(code, signal);
    else say(`the application ended (${signal ?? code}); waiting for a change`);
  });
}

/** Ends the running application and resolves when it is gone. */
async function end() {
  const ending = child;
  if (!ending) return;
  ending.removeAllListeners('exit');
  await new Promise((resolve) => {
    ending.once('exit', resolve);
    ending.kill('SIGTERM');
  });
  child = undefined;
}

/** @param {number | null} code @param {NodeJS.Signals | null} signal */
function leave(code, signal) {
  if (signal !== null && !isStopping) say(`the application was killed (${signal})`);
  process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0));
}

let isWorking = false;
let isAskedAgain = false;

async function restart() {
  if (isStopping) return;
  if (isWorking) {
    isAskedAgain = true;
    return;
  }
  isWorking = true;
  try {
    await compile();
    if (isStopping) return;
    await end();
    if (!isStopping) start();
  } catch (error) {
    say(`the build failed${child ? '; what ran goes on' : ''}\n${reasonOf(error)}`);
  } finally {
    isWorking = false;
  }
  if (isStopping && !child) process.exit(0);
  if (!isAskedAgain) return;
  isAskedAgain = false;
  await restart();
}

/** @type {NodeJS.Timeout | undefined} */
let pending;
/** @type {Map<string, import('node:fs').FSWatcher>} */
const watchers = new Map();

function watchSources() {
  for (const folder of ['src', 'migrations', 'dashboard']) watchFolder(join(root, folder));
}

/** Each folder by itself: a recursive watch of Node's follows files, and loses one that an editor replaces. @param {string} folder */
function watchFolder(folder) {
  watchers.get(folder)?.close();
  watchers.delete(folder);
  const entries = readFolder(folder);
  if (!entries) return;
  const watcher = watch(folder, (_event, name) => {
    if (name === null) return;
    watchFolderIn(folder, name);
    if (name.endsWith('.spec.ts')) return;
    clearTimeout(pending);
    pending = setTimeout(() => void restart(), debounceMs);
  });
  watcher.on('error', () => watcher.close()); // the folder is gone; if it comes back, the one above says so
  watchers.set(folder, watcher);
  for (const entry of entries) if (entry.isDirectory()) watchFolder(join(folder, entry.name));
}

/** What has been made, or made anew, may be a folder. @param {string} folder @param {string} name */
function watchFolderIn(folder, name) {
  const path = join(folder, name);
  if (watchers.has(path) || statSync(path, { throwIfNoEntry: false })?.isDirectory()) watchFolder(path);
}

/** @param {string} folder */
function readFolder(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The first signal lets the application finish what it accepted; the second ends it at once. */
function stop() {
  if (isStopping) {
    child?.kill('SIGKILL');
    return;
  }
  isStopping = true;
  clearTimeout(pending);
  if (claims) renameSync(writeBeside(`${process.pid} ${stopping}`), claim);
  if (child) child.kill('SIGTERM');
  else if (!isWorking) process.exit(0);
}

/** The process above this one and the one above that: npm puts a shell in between. @param {number} parent */
function callersOf(parent) {
  try {
    return `${parent} ${/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${parent}/status`, 'utf8'))?.[1]}`;
  } catch {
    return String(parent); // no /proc here, or the parent has just gone
  }
}

/** The stand-in SMS provider and CRM; where the port is taken, one of another run answers. It ends with this process. */
function startOutsideWorld() {
  const outside = spawn(process.execPath, ['--import', stopWithParent, join(root, 'tools/outside/outside.mjs')], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let isTaken = false;
  outside.stderr.setEncoding('utf8').on('data', (text) => {
    if (text.includes('EADDRINUSE')) isTaken = true;
    else if (!isTaken) say(text.trim());
  });
  outside.once('exit', () => {
    if (isTaken) say('the stand-in SMS provider and CRM run already');
  });
  process.once('exit', () => outside.kill('SIGTERM'));
}

process.on('SIGINT', stop);
process.on('SIGTERM', stop);
process.on('SIGHUP', stop);
// npm passes signals on, but nobody can pass on a kill -9.
if (process.env.npm_lifecycle_event !== undefined) {
  const callers = callersOf(process.ppid);
  const orphaned = setInterval(() => {
    if (callersOf(process.ppid) === callers) return;
    clearInterval(orphaned);
    stop();
  }, parentCheckMs);
  orphaned.unref();
}

if (existsSync(join(root, '.env'))) process.loadEnvFile(join(root, '.env'));
await claimCheckout();
isWorking = true;
try {
  await compile();
} catch (error) {
  say(`the build failed\n${reasonOf(error)}`);
  process.exit(1);
}
isWorking = false;
if (isStopping) process.exit(0);
startOutsideWorld();
start();
watchSources();
