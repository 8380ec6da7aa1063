-- One right at a time would need one statement each; the program needs all of them on its database.
CHECK GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW ON {database:Identifier}.*
