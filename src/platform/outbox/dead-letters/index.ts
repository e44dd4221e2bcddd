export { type DeadLetter, DeadLetters } from './dead-letters';
export { DeadLettersModule } from './dead-letters.module';
