-- What the program needs on its own database, which the connection has chosen (* = all of its tables).
CHECK GRANT SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW ON *
