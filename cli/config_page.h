/* config_page: the page docs/configuration.md, from the table of settings. */
#ifndef FLEXI_CLI_CONFIG_PAGE_H
#define FLEXI_CLI_CONFIG_PAGE_H

#include <stdio.h>

void config_page(FILE *out);

#endif
