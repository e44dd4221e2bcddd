export { PatientForeign } from './patients.errors';
export { PatientsModule } from './patients.module';
export { PatientsService } from './patients.service';
export { patientPermissions } from './patients.permissions';
