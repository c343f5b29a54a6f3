/* page: has gumbo parse, and lists what it found. */
#include "mail/page.h"

#include <gumbo.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "mail/css.h"
#include "mail/lookup.h"

enum {
	BYTE_ORDER_MARK_BYTES = 3,
	BYTES_OF_WEIGHT = 16,
	/* How often the parser's time is looked at. */
	PIECES_BETWEEN_LOOKS = 256,
};

struct walk {
	struct page *page;
	size_t room, sheet_room;
	enum error_code code;
	const char *what;
	struct error *e;
};

static int64_t processor_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *take(void *data, size_t n)
{
	struct page *page = data;
	void *piece = arena_take(&page->arena, n);
	bool look = ++page->pieces % PIECES_BETWEEN_LOOKS == 0;
	if (!piece || (look && processor_ms() > page->latest_ms))
		longjmp(page->stop, 1);
	return piece;
}

static void give_back(void *data, void *piece)
{
	(void)data, (void)piece;
}

/* NULL when the arena was used up. The result lives as long as the arena. */
static const GumboOutput *parse(struct page *page)
{
	GumboOptions options = kGumboDefaultOptions;
	options.allocator = take;
	options.deallocator = give_back;
	options.userdata = page;
	options.max_errors = 0;
	page->latest_ms = processor_ms() + MAX_PAGE_PARSE_MS;
	if (setjmp(page->stop))
		return NULL;
	return gumbo_parse_with_options(&options, page->source.s, page->source.n);
}

static bool is_element(const GumboNode *node)
{
	return node->type == GUMBO_NODE_ELEMENT || node->type == GUMBO_NODE_TEMPLATE;
}

/* Whether a tag was written, and begins with `open` in any case. */
static bool is_written(const struct page *page, GumboStringPiece tag, const char *open)
{
	size_t n = strlen(open);
	return tag.length > n && tag.data >= page->source.s &&
	       tag.data + tag.length <= page->source.s + page->source.n &&
	       strncasecmp(tag.data, open, n) == 0;
}

static size_t place(const struct page *page, const char *at)
{
	return (size_t)(at - page->source.s);
}

static const char *value_of(const GumboElement *element, const char *name)
{
	const GumboAttribute *a = gumbo_get_attribute(&element->attributes, name);
	return a ? a->value : NULL;
}

const char *page_attribute(const struct element *element, const char *name)
{
	return value_of(&((const GumboNode *)element->node)->v.element, name);
}

/* The name of an element in small letters; NULL when memory is short. */
static const char *tag_name(struct page *page, const GumboElement *element)
{
	if (element->tag != GUMBO_TAG_UNKNOWN)
		return gumbo_normalized_tagname(element->tag);
	GumboStringPiece piece = element->original_tag;
	gumbo_tag_from_original_text(&piece);
	char *name = arena_copy(&page->arena, (struct text){ piece.data, piece.length });
	for (char *c = name; c && *c; c++)
		*c = g_ascii_tolower(*c);
	return name;
}

const size_t *page_lookup(const struct page *page, char kind, const char *name, size_t *count)
{
	return lookup_find(page->index, kind, name, count);
}

static void index_element(struct page *page, size_t number)
{
	const struct element *element = &page->elements[number];
	lookup_add(page->index, 't', text_of(element->tag), number);
	if (element->id)
		lookup_add(page->index, '#', text_of(element->id), number);
	for (const char *c = element->class_names; c && *c;) {
		size_t n = strcspn(c, " \t\n\r\f");
		if (n > 0)
			lookup_add(page->index, '.', (struct text){ c, n }, number);
		c += n + (c[n] != '\0');
	}
}

static bool means_css(const char *type)
{
	return !type || !*type || strcasecmp(type, "text/css") == 0;
}

static bool means_all_media(const char *media)
{
	struct text t = media ? css_trim(media, media + strlen(media)) : text_of("");
	return t.n == 0 || (t.n == 3 && strncasecmp(t.s, "all", 3) == 0);
}

static bool is_sheet(const struct page *page, const GumboElement *element)
{
	const char *wish = value_of(element, "data-premailer");
	return element->tag == GUMBO_TAG_STYLE && element->tag_namespace == GUMBO_NAMESPACE_HTML &&
	       is_written(page, element->original_tag, "<style") &&
	       is_written(page, element->original_end_tag, "</style") &&
	       !(wish && strcasecmp(wish, "ignore") == 0) && means_css(value_of(element, "type")) &&
	       means_all_media(value_of(element, "media"));
}

/* Doubles a list that is full. False when memory is short. */
static bool grow(void *list, size_t count, size_t *room, size_t size)
{
	void **slot = list;
	if (count < *room)
		return true;
	size_t more = *room ? *room * 2 : 64;
	void *grown = reallocarray(*slot, more, size);
	if (!grown)
		return false;
	*slot = grown;
	*room = more;
	return true;
}

static bool add_sheet(struct walk *w, const GumboElement *element)
{
	struct page *page = w->page;
	if (!grow(&page->sheets, page->sheet_count, &w->sheet_room, sizeof(*page->sheets)))
		return false;
	const char *css = element->original_tag.data + element->original_tag.length;
	const char *close = element->original_end_tag.data;
	page->sheets[page->sheet_count++] = (struct page_sheet){
		.css = { css, (size_t)(close - css) },
		.at = place(page, element->original_tag.data),
		.size = (size_t)(close + element->original_end_tag.length -
				 element->original_tag.data),
	};
	return true;
}

static size_t weight_of(const GumboElement *element)
{
	size_t bytes = 0;
	for (unsigned i = 0; i < element->attributes.length; i++)
		bytes += strlen(((const GumboAttribute *)element->attributes.data[i])->value);
	return 1 + bytes / BYTES_OF_WEIGHT;
}

/* Adds the element with the sibling before it; returns its number, or PAGE_NONE. */
static size_t add_element(struct walk *w, const GumboNode *node, size_t parent, size_t previous)
{
	struct page *page = w->page;
	const GumboElement *element = &node->v.element;
	size_t number = page->count;
	const char *tag = tag_name(page, element);
	if (!tag || !grow(&page->elements, number, &w->room, sizeof(*page->elements)))
		return PAGE_NONE;
	page->elements[page->count++] = (struct element){
		.tag = tag,
		.class_names = value_of(element, "class"),
		.id = value_of(element, "id"),
		.style = value_of(element, "style"),
		.parent = parent,
		.previous = previous,
		.next = PAGE_NONE,
		.position = previous == PAGE_NONE ? 1 : page->elements[previous].position + 1,
		.weight = weight_of(element),
		.node = node,
	};
	if (previous != PAGE_NONE)
		page->elements[previous].next = number;
	index_element(page, number);
	if (is_sheet(page, element) && !add_sheet(w, element))
		return PAGE_NONE;
	return number;
}

static enum error_code walk(struct walk *w, const GumboNode *node, size_t parent, size_t previous,
			    size_t depth)
{
	if (depth > MAX_PAGE_DEPTH)
		return error_set(w->e, ERROR_TOO_LARGE,
				 "%s: elements nest deeper than %d, and styles cannot be inlined",
				 w->what, MAX_PAGE_DEPTH);
	size_t number = add_element(w, node, parent, previous);
	if (number == PAGE_NONE)
		return error_set(w->e, ERROR_INTERNAL, "out of memory");
	if (node->type == GUMBO_NODE_TEMPLATE)
		return ERROR_NONE;
	const GumboVector *children = &node->v.element.children;
	size_t last = PAGE_NONE;
	enum error_code code = ERROR_NONE;
	for (unsigned i = 0; !code && i < children->length; i++) {
		const GumboNode *child = children->data[i];
		if (!is_element(child))
			continue;
		size_t child_number = w->page->count;
		code = walk(w, child, number, last, depth + 1);
		last = child_number;
	}
	return code;
}

/* The end of the doctype, which only blanks and comments may come before; or the start. */
static size_t after_doctype(struct text source)
{
	const char *start = source.s;
	const char *end = start + source.n;
	if (source.n >= BYTE_ORDER_MARK_BYTES && memcmp(start, "\xef\xbb\xbf", 3) == 0)
		start += BYTE_ORDER_MARK_BYTES;
	const char *s = start;
	while (s < end) {
		bool comment = end - s >= 4 && memcmp(s, "<!--", 4) == 0;
		if (css_is_blank(*s)) {
			s++;
			continue;
		}
		const char *mark = comment ? "-->" : ">";
		const char *close = memmem(s, (size_t)(end - s), mark, strlen(mark));
		if (!close)
			break;
		close += strlen(mark);
		if (end - s >= 9 && strncasecmp(s, "<!doctype", 9) == 0)
			return (size_t)(close - source.s);
		if (!comment && !(end - s >= 2 && memcmp(s, "<?", 2) == 0))
			break;
		s = close;
	}
	return (size_t)(start - source.s);
}

static const GumboElement *child_of(const GumboNode *root, GumboTag tag)
{
	for (unsigned i = 0; i < root->v.element.children.length; i++) {
		const GumboNode *child = root->v.element.children.data[i];
		if (is_element(child) && child->v.element.tag == tag)
			return &child->v.element;
	}
	return NULL;
}

/* Where a <style> is still in the head, whichever of its tags were written. */
static size_t find_head(const struct page *page, const GumboNode *root)
{
	const GumboElement *head = child_of(root, GUMBO_TAG_HEAD);
	const GumboElement *body = child_of(root, GUMBO_TAG_BODY);
	if (head && is_written(page, head->original_end_tag, "</head"))
		return place(page, head->original_end_tag.data);
	if (body && is_written(page, body->original_tag, "<body"))
		return place(page, body->original_tag.data);
	GumboStringPiece tag = root->v.element.original_tag;
	if (head && is_written(page, head->original_tag, "<head"))
		tag = head->original_tag;
	if (is_written(page, tag, "<h"))
		return place(page, tag.data + tag.length);
	return after_doctype(page->source);
}

static size_t count_tags(struct text source)
{
	size_t count = 0;
	for (size_t i = 0; i + 1 < source.n; i++)
		count += source.s[i] == '<' && g_ascii_isalpha(source.s[i + 1]);
	return count;
}

enum error_code page_parse(struct text source, const char *what, struct page *page, struct error *e)
{
	*page = (struct page){ .source = source, .arena = { .limit = MAX_PAGE_MEMORY_BYTES } };
	if (source.n > MAX_PAGE_BYTES)
		return error_set(e, ERROR_TOO_LARGE,
				 "%s: more than %d MiB, and styles cannot be inlined", what,
				 MAX_PAGE_BYTES / 1024 / 1024);
	if (count_tags(source) > MAX_PAGE_TAGS)
		return error_set(e, ERROR_TOO_LARGE,
				 "%s: more than %d tags, and styles cannot be inlined", what,
				 MAX_PAGE_TAGS);
	page->index = lookup_new();
	struct walk w = { .page = page, .what = what, .e = e };
	const GumboOutput *output = parse(page);
	enum error_code code;
	if (output)
		code = walk(&w, output->root, PAGE_NONE, PAGE_NONE, 1);
	else
		code = error_set(e, ERROR_TOO_LARGE,
				 "%s: it becomes too much, and styles cannot be inlined", what);
	if (output && !code)
		page->head = find_head(page, output->root);
	else
		page_finish(page);
	return code;
}

void page_finish(struct page *page)
{
	g_clear_pointer(&page->index, g_hash_table_unref);
	free(page->elements);
	free(page->sheets);
	arena_finish(&page->arena);
	page->elements = NULL;
	page->sheets = NULL;
	page->count = page->sheet_count = 0;
}

bool page_style_place(const struct page *page, const struct element *element, size_t *at,
		      size_t *size)
{
	/* A copy that the parser made of an element shares its tag. */
	const GumboParseFlags copied = GUMBO_INSERTION_RECONSTRUCTED_FORMATTING_ELEMENT |
				       GUMBO_INSERTION_ADOPTION_AGENCY_CLONED;
	const GumboNode *node = element->node;
	GumboStringPiece tag = node->v.element.original_tag;
	if ((node->parse_flags & copied) || !is_written(page, tag, "<"))
		return false;
	const GumboAttribute *a = gumbo_get_attribute(&node->v.element.attributes, "style");
	const char *end = tag.data + tag.length;
	if (!a) {
		const char *s = tag.data + 1;
		while (s < end && !css_is_blank(*s) && *s != '>' && *s != '/')
			s++;
		*at = place(page, s);
		*size = 0;
		return true;
	}
	if (!is_written(page, a->original_name, ""))
		return false;
	const char *start = a->original_name.data;
	const char *stop = a->original_value.data + a->original_value.length;
	/* Without a value it is the name again, and an equals sign may follow. */
	if (a->original_value.data == start) {
		const char *sign = stop;
		while (sign < end && css_is_blank(*sign))
			sign++;
		if (sign < end && *sign == '=')
			stop = sign + 1;
	}
	*at = place(page, start);
	*size = (size_t)(stop - start);
	return true;
}
