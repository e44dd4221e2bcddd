// @ts-check
// The tour: acts as the clients of each system against the running server and tells what happened and which policy did it.
// npm run tour  (the server runs already: npm run start:dev)
import { existsSync } from 'node:fs';
import { bookings } from './bookings.mjs';
import { Guide } from './guide.mjs';
import { messaging } from './messaging.mjs';

const chapters = [bookings, messaging];

if (existsSync('.env')) process.loadEnvFile('.env');
const guide = new Guide(
  process.env['TOUR_URL'] ?? `http://127.0.0.1:${process.env['PORT'] ?? 3000}`,
  process.env['OUTSIDE_URL'] ?? 'http://127.0.0.1:4010',
);
try {
  await guide.arrive();
  for (const chapter of chapters) await chapter(guide);
  guide.leave();
} catch (error) {
  guide.lost(error);
  process.exitCode = 1;
}
