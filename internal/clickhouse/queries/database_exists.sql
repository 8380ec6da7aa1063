-- Asked before CREATE DATABASE, which needs a right even when there is nothing to create.
SELECT count() > 0 FROM system.databases WHERE name = {database:String}
