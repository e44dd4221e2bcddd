export { PatientsModule } from './patients.module';
export { PatientsService } from './patients.service';
