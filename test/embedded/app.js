// An app of its own process, as the tests of the embedded servers need it: one that can be killed.
const [, , folder, options] = process.argv;
const { startEmbedded } = require(folder);

startEmbedded({ ...JSON.parse(options), log: (line) => process.send({ type: 'log', line }) }).then(
  (servers) => {
    const tell = (type) => {
      const { postgres, redis } = servers;
      process.send({
        type,
        postgres: postgres && {
          port: postgres.port,
          pid: postgres.pid,
          url: postgres.urlFor(postgres.superuser, postgres.password, 'postgres'),
        },
        redis,
      });
    };
    process.on('message', async (question) => {
      if (question === 'look') return tell('look');
      await servers.stop();
      process.disconnect();
    });
    tell('ready');
  },
  (error) => process.send({ type: 'failed', message: error.message }, () => process.disconnect()),
);
