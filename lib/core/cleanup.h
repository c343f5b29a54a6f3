/*
 * cleanup: variables that release themselves when they leave their scope, on
 * every path: `CLEANUP(buffer_finish) struct buffer b = { 0 };`. The function
 * gets the variable's address.
 */
#ifndef FLEXI_CORE_CLEANUP_H
#define FLEXI_CORE_CLEANUP_H

#define CLEANUP(function) __attribute__((cleanup(function)))

#endif
