/* descriptors: how many files a daemon may have open. */
#ifndef FLEXI_CORE_DESCRIPTORS_H
#define FLEXI_CORE_DESCRIPTORS_H

/*
 * Raises the limit to what so many connections need, and some more for the
 * rest of the process; a warning names the setting if that many cannot be had.
 */
void descriptors_raise(long connections, const char *setting);

#endif
