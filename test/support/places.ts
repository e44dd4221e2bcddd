import { join, resolve } from 'node:path';

export const root = resolve(__dirname, '../..');
/** Everything that tests leave behind; ignored by git, kept between runs so that servers start warm. */
export const testDir = join(root, '.gatehouse/test');
/** The process that runs all specs; its workers inherit the name, so that two runs at once stay apart. */
export const runId = (process.env.GATEHOUSE_TEST_RUN ??= String(process.pid));
export const runDir = join(testDir, `run-${runId}`);
/** The build that spawned processes run; apart from `dist`, so that a test run disturbs no running application. */
export const builtDir = join(runDir, 'dist');
/** What the global set-up found out, for the workers. */
export const groundFile = join(runDir, 'ground.json');
export const databasePrefix = 'gatehouse_test_';
export const templateDatabase = `${databasePrefix}${runId}_template`;

export interface TestGround {
  readonly superuserUrl: string;
  readonly password: string;
  readonly port: number;
}
