/* The stock packs, all of etc/tools one behind the other, among the constants
 * of the program. STOCK is the file, as the makefile says. */
	.section .rodata
	.global stock_bytes
	.global stock_end
	.balign 16
stock_bytes:
	.incbin STOCK
stock_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
