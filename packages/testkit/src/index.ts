export { HandClock } from './clock.ts'
