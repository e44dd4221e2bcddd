import type { Page } from '../../policy';
import type { Appointment } from './entities/appointment.entity';

/** An appointment tells of its patient, too. */
export const aboutOne = ({ appointmentId, patientId }: Appointment) => [appointmentId, patientId];

/** The subjects of a list of appointments. */
export const aboutAll = ({ data }: Page<Appointment>) => [...new Set(data.flatMap(aboutOne))];
