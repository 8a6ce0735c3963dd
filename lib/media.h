/*
 * media - what Accept and Content-Type say about media types (RFC 9110,
 * sections 8.3 and 12.5.1).
 */
#ifndef LIB_MEDIA_H
#define LIB_MEDIA_H

#include "lib/h1.h"

/*
 * Does an Accept value allow type/subtype? The most specific range decides,
 * with a q of 0 it excludes; parameters are ignored; an empty value allows
 * everything (RFC 9110, section 12.5.1).
 */
bool media_accepts(struct span accept, struct span type, struct span subtype);

/* The same over all Accept fields of a head; none allows everything. */
bool media_head_accepts(const struct h1_head *head, struct span type,
                        struct span subtype);

/*
 * Is the media type of a Content-Type value the given "type/subtype", in any
 * case and whatever its parameters (RFC 9110, section 8.3.1)?
 */
bool media_type_is(struct span content_type, struct span type);

/* Does a Content-Type value say no charset, or UTF-8? */
bool media_charset_ok(struct span content_type);

#endif
