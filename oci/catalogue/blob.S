/* The packed catalogue, among the constants of the program. CATALOGUE is the
 * file, as the makefile says. */
	.section .rodata
	.global catalogue_bytes
	.balign 64
catalogue_bytes:
	.incbin CATALOGUE
	.byte 0
	.section .note.GNU-stack, "", %progbits
