export { connectionMachine } from './connection.ts'
export { registrationMachine } from './registration.ts'
