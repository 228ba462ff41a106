-- COPY in text and CSV. (Binary: test/t.)

CREATE TABLE copied (id int, v vector(3), h halfvec(3), s sparsevec(3));
COPY copied FROM stdin;
1	[1,2,3]	[1,2,3]	{1:1}/3
2	 [ 1.5, -2.5, 0 ] 	[2049,0,-0]	{}/3
3	\N	\N	\N
\.
COPY copied FROM stdin (FORMAT csv);
4,"[4,4,4]","[4,4,4]","{1:4,3:4}/3"
5,,,
\.
SELECT * FROM copied ORDER BY id;
COPY (SELECT * FROM copied ORDER BY id) TO stdout;
COPY (SELECT * FROM copied ORDER BY id) TO stdout (FORMAT csv, HEADER);
COPY (SELECT * FROM copied ORDER BY id) TO stdout (FORMAT csv, DELIMITER ';', NULL '-');

-- an error says where, and takes the whole command back
COPY copied FROM stdin;
6	[6,6,6]	[6,6,6]	{}/3
7	[7,7	[7,7,7]	{}/3
\.
COPY copied (id, v) FROM stdin;
7	[7,7]
\.
COPY copied (id, h) FROM stdin;
7	[7,70000,7]
\.
COPY copied (id, s) FROM stdin;
7	{4:1}/3
\.
COPY copied (id, s) FROM stdin;
7	{1:1,1:1}/3
\.
SELECT count(*) FROM copied;
DROP TABLE copied;
