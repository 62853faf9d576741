// Memory that is let go is never given out again, so that nothing is written over what was left in it.
void free(void *memory) { (void)memory; }
