import type { MigrationInterface, QueryRunner } from 'typeorm';
import { lockWhole } from './support/lock-whole';

/**
 * When somebody comes next and was here last is part of every patient that is shown: an appointment knows when it is, as its slot
 * does, and no slot is read for it.
 */
export class AddStartToAppointments1764000000580 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(lockWhole(`SELECT 'public.slots, public.appointments'`));
    await runner.query(`
      ALTER TABLE appointments ADD COLUMN starts_at timestamptz;
      ALTER TABLE appointments NO FORCE ROW LEVEL SECURITY;
      ALTER TABLE slots NO FORCE ROW LEVEL SECURITY;
      UPDATE appointments a SET starts_at = s.starts_at FROM slots s WHERE s.practice_id = a.practice_id AND s.id = a.slot_id;
      ALTER TABLE appointments FORCE ROW LEVEL SECURITY;
      ALTER TABLE slots FORCE ROW LEVEL SECURITY;

      -- Whatever the program does, it is the slot's.
      ALTER TABLE slots ADD CONSTRAINT slots_practice_id_id_starts_at_key UNIQUE (practice_id, id, starts_at);
      ALTER TABLE appointments
        ALTER COLUMN starts_at SET NOT NULL,
        DROP CONSTRAINT appointments_practice_id_slot_id_fkey,
        ADD FOREIGN KEY (practice_id, slot_id, starts_at) REFERENCES slots (practice_id, id, starts_at) ON UPDATE CASCADE;

      -- Processes of the release before, which go on until they are replaced, do not say when it is. (A later release drops these.)
      CREATE FUNCTION start_of_slot() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
      BEGIN
        SELECT s.starts_at INTO NEW.starts_at FROM slots s WHERE s.practice_id = NEW.practice_id AND s.id = NEW.slot_id;
        RETURN NEW;
      END $$;
      CREATE TRIGGER start_of_slot_insert BEFORE INSERT ON appointments FOR EACH ROW
        WHEN (NEW.starts_at IS NULL) EXECUTE FUNCTION start_of_slot();
      CREATE TRIGGER start_of_slot_update BEFORE UPDATE OF slot_id ON appointments FOR EACH ROW
        WHEN (NEW.slot_id <> OLD.slot_id AND NEW.starts_at = OLD.starts_at) EXECUTE FUNCTION start_of_slot();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER start_of_slot_insert ON appointments;
      DROP TRIGGER start_of_slot_update ON appointments;
      DROP FUNCTION start_of_slot();
      ALTER TABLE appointments
        DROP CONSTRAINT appointments_practice_id_slot_id_starts_at_fkey, DROP COLUMN starts_at,
        ADD FOREIGN KEY (practice_id, slot_id) REFERENCES slots;
      ALTER TABLE slots DROP CONSTRAINT slots_practice_id_id_starts_at_key;
    `);
  }
}
