/* master/main.c -- the start of the master process. */
int main(void) { return 0; }
