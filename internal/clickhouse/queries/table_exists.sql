-- Asked before reading the table of versions, which a look at the state must not create.
SELECT count() > 0 FROM system.tables WHERE database = {database:String} AND name = {table:String}
