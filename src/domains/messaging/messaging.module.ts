import { Module } from '@nestjs/common';
import { Accounts } from './accounts';
import { ChatController } from './chat.controller';
import { ChatRepository } from './chat.repository';
import { ChatService } from './chat.service';
import { ConversationsController } from './conversations.controller';
import { ConversationsRepository } from './conversations.repository';
import { ConversationsService } from './conversations.service';
import { DirectoryController } from './directory.controller';
import { DirectoryRepository } from './directory.repository';
import { DirectoryService } from './directory.service';
import { UnknownMethodController } from './unknown-method.controller';

@Module({
  // The last one takes what no other has.
  controllers: [ChatController, ConversationsController, DirectoryController, UnknownMethodController],
  providers: [
    Accounts,
    ChatRepository,
    ChatService,
    ConversationsRepository,
    ConversationsService,
    DirectoryRepository,
    DirectoryService,
  ],
})
export class MessagingModule {}
