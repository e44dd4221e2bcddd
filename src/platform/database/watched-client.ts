import pg from 'pg';
import { DatabaseUnavailable } from './database.errors';

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/**
 * A connection that ends once its session is not as it began. Postgres reports what bears on the meaning of a statement or of
 * its answer (`client_encoding`, `DateStyle`, `TimeZone`, `search_path`, …): whoever was given the connection next would write
 * and read something else than he means.
 */
export class WatchedClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const began = new Map<string, string>();
    const { connection } = this as unknown as { connection: pg.Connection };
    connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      const before = began.get(parameterName);
      if (before === undefined) began.set(parameterName, parameterValue);
      else if (before !== parameterValue)
        connection.stream.destroy(
          new DatabaseUnavailable(new Error(`A session was changed: ${parameterName} is not ${before} any more`)),
        );
    });
  }
}
