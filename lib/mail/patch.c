/* patch: sorts the changes by place and copies what lies between them. */
#include "mail/patch.h"

#include <stdlib.h>

void patch_add(struct patches *p, size_t at, size_t removed, struct text text)
{
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct patch *grown = reallocarray(p->list, room, sizeof(*grown));
		if (!grown) {
			p->failed = true;
			return;
		}
		p->list = grown;
		p->room = room;
	}
	p->list[p->count] = (struct patch){ at, removed, p->added.size, text.n, p->count };
	p->count++;
	buffer_append_text(&p->added, text);
}

/* By place, then insertions first, then as they were added. */
static int compare(const void *a, const void *b)
{
	const struct patch *x = a;
	const struct patch *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if ((x->removed == 0) != (y->removed == 0))
		return x->removed == 0 ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

bool patch_apply(struct patches *p, struct text source, struct buffer *out)
{
	size_t done = 0;
	if (p->count > 1)
		qsort(p->list, p->count, sizeof(*p->list), compare);
	for (size_t i = 0; i < p->count; i++) {
		const struct patch *patch = &p->list[i];
		if (patch->at < done)
			continue;
		buffer_append(out, source.s + done, patch->at - done);
		buffer_append(out, p->added.bytes + patch->from, patch->added);
		done = patch->at + patch->removed;
	}
	buffer_append(out, source.s + done, source.n - done);
	return !p->failed && !p->added.failed && !out->failed;
}

void patch_finish(struct patches *p)
{
	free(p->list);
	buffer_finish(&p->added);
	*p = (struct patches){ 0 };
}
