import { variables } from './variables';

/** The text of `.env.example`: every variable with its default and its reason. A test compares it with the file. */
export function envExample(): string {
  const blocks = Object.entries(variables).map(([name, { fallback, reason }]) => {
    const shown = name === 'WORKER_CONCURRENCY' ? undefined : fallback;
    return shown === undefined ? `# ${reason}\n#${name}=\n` : `# ${reason}\n#${name}=${shown}\n`;
  });
  return `# Every variable, its default and its reason. Copy to .env and uncomment what you change.\n\n${blocks.join('\n')}`;
}
