// Preloaded into a process of the application: at SIGUSR2 it collects its garbage and says which of its requests still live.
const { subscribe } = require('node:diagnostics_channel');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const seen = [];
subscribe('http.server.request.start', ({ request }) => seen.push(new WeakRef(request)));
process.on('SIGUSR2', () => {
  collect();
  const alive = seen.filter((request) => request.deref() !== undefined).length;
  process.stdout.write(`requests: ${seen.length} seen, ${alive} alive\n`);
});
