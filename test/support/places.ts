import { join, resolve } from 'node:path';

export const root = resolve(__dirname, '../..');
/** Everything that tests leave behind; ignored by git, kept between runs so that servers start warm. */
export const testDir = join(root, '.gatehouse/test');
/** The build that spawned processes run; apart from `dist`, so that a test run disturbs no running application. */
export const builtDir = join(testDir, 'dist');
/** What the global set-up found out, for the workers. */
export const groundFile = join(testDir, 'ground.json');
export const templateDatabase = 'gatehouse_template';

export interface TestGround {
  readonly superuserUrl: string;
  readonly password: string;
  readonly port: number;
}
