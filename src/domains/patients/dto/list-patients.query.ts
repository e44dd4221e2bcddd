import { PageQuery } from '../../../policy';

/** The query of `GET /patients`. */
export class ListPatients extends PageQuery {}
