// @ts-check
/** Holds the embedded servers open for a bench: `node ground.mjs <module> <dataDir> <database>` says where they are in one line of JSON, and stops them on SIGTERM or when its parent is gone. */
const [, , module, dataDir, database] = process.argv;
const { startEmbedded } = await import(module);
const embedded = await startEmbedded({ dataDir, postgres: true, redis: true });
const { postgres, redis } = embedded;
process.stdout.write(
  JSON.stringify({
    redisUrl: redis.url,
    postgresUrl: postgres.urlFor(postgres.superuser, postgres.password, database),
  }),
);

const stop = async () => {
  await embedded.stop();
  process.exit(0);
};
process.once('SIGTERM', stop);
process.stdin.once('end', stop).resume();
